"""How a running environment is reached: JupyterLab's URL, SSH, VS Code."""
