"""Reports: verified logs in, published tables, pages, spreadsheets and PDF out."""
