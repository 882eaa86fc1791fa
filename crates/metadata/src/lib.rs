//! Metadata records, the image they replay into, and the controller's decisions.
