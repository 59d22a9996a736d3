"""BCP: parts of labelled images in unlabelled ones, and the other way round."""
