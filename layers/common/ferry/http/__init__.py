"""HTTP: events in, answers out. The only importer of Powertools' event handler. Import the submodule that is needed."""
