"""One file or package per dataset family; each names its dataset ids in DATASETS."""
