"""`unipan tables`: the tables of the paper's supplementary on any data."""
