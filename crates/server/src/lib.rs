//! The composition root: settings and adapters only.
