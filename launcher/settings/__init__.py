"""What an environment is made with: flags, variables, launcher.toml and the user's defaults, with their origins."""
