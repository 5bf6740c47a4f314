"""Who comes in: accounts, sessions, passkeys, roles, certificates; and what is refused."""
