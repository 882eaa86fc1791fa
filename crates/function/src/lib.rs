//! Functions: deployments of Wasm transforms as tasks.
