"""The figures of a page as Vega-Lite specifications, one for each section and question."""
