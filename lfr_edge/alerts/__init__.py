"""Candidate → Alert → Decision: what a machine raised, and what people made of it."""
