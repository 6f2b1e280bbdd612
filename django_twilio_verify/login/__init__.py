"""Second factors at login: the session, the policy, access, trusted browsers, step-up, payments."""
