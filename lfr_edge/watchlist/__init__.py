"""Who may be looked for: entries, their enrolment, the sealed list at rest, and the exact index in memory."""
