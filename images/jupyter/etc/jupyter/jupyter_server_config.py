# Defaults that a user may change in ~/.jupyter; what protects the server is on the start program's command line.
# The example that the button at the top right copies into the project: labconfig/default_setting_overrides.json.
c.ServerApp.extra_static_paths = ["/opt/gpu-launcher/cifar10/notebook"]  # noqa: F821
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash", "-l"]}  # noqa: F821
# Two megabytes a second stop a training loop's output; the browser is on the same machine.
c.ZMQChannelsWebsocketConnection.iopub_data_rate_limit = 1e8  # noqa: F821
