//! Listeners, frames, connections and the way a file range becomes sendfile.
