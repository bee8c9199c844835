"""How several processes share the tests: a file, with what its tests prepare once, stays in one process."""

BROWSER = "test_browser"  # begins the name of every file of tests in a browser
# What takes long begins, so that no process works alone at the end: servers and browsers, fits, whole commands.
LONG = (
    BROWSER, "test_kill", "test_live_engine", "test_incart", "test_jobs", "test_app", "test_export", "test_adapting",
    "test_hospital_forms", "test_studies", "test_report", "test_batch", "test_supraventricular", "test_pipeline",
    "test_fuzz", "test_command_line", "test_invariance", "test_dask", "test_store", "test_bundle", "test_reader_task",
    "test_labelling", "test_physionet", "test_launch", "test_learning_page", "test_locks",
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
