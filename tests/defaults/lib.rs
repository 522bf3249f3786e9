//! Nothing: what is looked at is what the dependencies are in a package of its own.
