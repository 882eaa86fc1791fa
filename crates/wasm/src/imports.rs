//! What a component may import, and what it must export: checked at deploy, by name.

use crate::Error;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The interface a function exports.
pub const TRANSFORM: &str = "millstream:transform/transform@1.0.0";
/// Where its results go.
pub const SINK: &str = "millstream:transform/sink@1.0.0";
/// Where its words go.
pub const LOGGER: &str = "millstream:transform/logger@1.0.0";

/// What may be imported, for people.
const ALLOWED: &str = "millstream:transform/sink and logger, and what a standard library asks for (wasi:io, clocks, random, cli, and filesystem, which is empty), but no sockets, HTTP or anything else";

const WASI: [&str; 5] = ["wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:cli/", "wasi:filesystem/"];

/// Checks imports and exports. Returns whether it imports anything of WASI.
pub fn check(component: &Component, engine: &Engine) -> Result<bool, Error> {
    let component_type = component.component_type();
    let mut wasi = false;
    for (name, _) in component_type.imports(engine) {
        let of_wasi = WASI.iter().any(|prefix| name.starts_with(prefix));
        let ours = [SINK, LOGGER].iter().any(|interface| same_major(name, interface));
        if !of_wasi && !ours {
            return Err(Error::Import { import: name.to_owned(), allowed: ALLOWED });
        }
        wasi |= of_wasi;
    }
    for (name, export) in component_type.exports(engine) {
        if !same_major(name, TRANSFORM) {
            continue;
        }
        let ComponentItem::ComponentInstance(instance) = export.ty else {
            return Err(Error::Export {
                expected: TRANSFORM,
                reason: "what it exports by that name is not an interface".into(),
            });
        };
        for function in ["configure", "process"] {
            if instance.get_export(engine, function).is_none() {
                return Err(Error::Export {
                    expected: TRANSFORM,
                    reason: format!("its interface lacks the function {function}"),
                });
            }
        }
        return Ok(wasi);
    }
    let names: Vec<String> = component_type.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let reason =
        if names.is_empty() { "it exports nothing".to_owned() } else { format!("it exports {}", names.join(", ")) };
    Err(Error::Export { expected: TRANSFORM, reason })
}

/// Whether `name` is that interface in any version 1.
fn same_major(name: &str, interface: &str) -> bool {
    let wanted = interface.split_once('@').map_or(interface, |(name, _)| name);
    name.split_once('@').is_some_and(|(name, version)| name == wanted && version.starts_with("1."))
}
