# Defaults that a user may change in ~/.jupyter; what protects the server is on the start program's command line.
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash", "-l"]}  # noqa: F821
# Two megabytes a second stop a training loop's output; the browser is on the same machine.
c.ZMQChannelsWebsocketConnection.iopub_data_rate_limit = 1e8  # noqa: F821
