"""What a project declares: rules.toml, front matter, contracts, profiles, variables, the policy of checks."""
