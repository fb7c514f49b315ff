"""The meeting place: ingest, score, find deviations, link, associate, store, report."""
