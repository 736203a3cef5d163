//! A cluster in one process, test authorities and fakes, for tests only.
