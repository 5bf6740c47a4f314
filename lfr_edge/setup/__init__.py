"""From a bare box to a configuration: questions, found cameras, checks, a measured verdict, and the files written.

Terminal and page (``console/first_run.py``) ask; this room knows what a box needs. It stands above the service,
because it opens the box's own record, accounts and cameras as the service does.
"""
