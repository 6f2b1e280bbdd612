"""Values that belong to no domain: recipients, codes, countries, the client behind a request, signing keys."""
