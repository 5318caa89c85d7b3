# Files that a user must bring. What is missing is said at once, and a dry run still shows the graph; what needs it is
# refused before anything is started.
MISSING = missing_files([*named_files(config), *own_prepbufr_files()])

if MISSING and workflow.is_main_process:
    print(
        *missing_lines(MISSING),
        "(A dry run, -n, shows the graph all the same.)",
        sep="\n",
        file=sys.stderr,
        flush=True,
    )


onstart:
    refuse_without_files(workflow.dag.needrun_jobs())
    try:
        record(config)
    except OtherExperimentError as error:
        refuse(str(error))


def refuse_without_files(jobs):
    """Refuse to start jobs that need a file which is missing."""
    needed = {
        path: job.rule.name
        for job in jobs
        for path, found in (job.params.get("brought") or {}).items()
        if found is None
    }
    if needed:
        refuse(
            *(
                f"{key}: {path} is missing, and {needed[path]} needs it; bring the file, or name another"
                for key, path in MISSING
                if path in needed
            )
        )
