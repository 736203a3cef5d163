//! Built-in plugins without heavy dependencies.
