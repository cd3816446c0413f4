"""`unipan doctor`: find splits, examine them, mend them, report."""
