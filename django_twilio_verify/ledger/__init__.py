"""The consent ledger: append-only records, fingerprints, keys, seals, integrity, retention."""
