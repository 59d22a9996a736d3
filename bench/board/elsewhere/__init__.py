"""Models on data sets that they were not trained on: rows "tested elsewhere"."""
