"""One file per dataset family; each names its ids in DATASETS."""
