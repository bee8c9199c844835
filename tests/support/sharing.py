"""How several processes share the tests: a file, with what its tests prepare once, stays in one process."""

BROWSER = "test_browser"  # begins the name of every file of tests in a browser
# What takes long begins, so that no process works alone at the end: servers and browsers, fits, whole commands.
LONG = (
    BROWSER, "test_app", "test_launch", "test_studies_page", "test_store", "test_kill", "test_training",
    "test_second_stage", "test_general", "test_models", "test_batch", "test_command_line", "test_live_command",
    "test_locks", "test_dask",
)  # fmt: skip


def rank(module):
    """Place of a file in the order: the long ones, then all others."""
    return next((i for i, name in enumerate(LONG) if module.startswith(name)), len(LONG))


def scope_of(nodeid):
    """What a test stays together with: its file, and in a browser all other tests there, as they mostly wait."""
    path = nodeid.split("::", 1)[0]
    return BROWSER if f"/{BROWSER}" in path else path


def scheduling(config, log):
    """Scopes in the order in which their tests were collected."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    config.option.loadscopereorder = False
    return Files(config, log)
