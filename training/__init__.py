"""Programs that train, calibrate and export bundles."""
