import warnings

# At the import of its v1 types the SDK advises v2, which Grafana's file provisioning rejects.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    import taximeter_dashboards.build  # noqa: F401
