"""Programs that measure; see README.md. None of them is part of the product."""
