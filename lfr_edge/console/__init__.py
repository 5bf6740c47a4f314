"""What people see: pages, JSON API, live feed, sign-in and roles."""
