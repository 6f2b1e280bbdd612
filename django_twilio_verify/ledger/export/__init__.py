"""Evidence for somebody outside: selecting it, and writing bundles, receipts and spreadsheets."""
