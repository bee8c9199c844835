"""The command line: a file a command, each with ``add_parser(commands)`` and ``run(options)``, its exit code."""
