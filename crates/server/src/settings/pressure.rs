//! What a node lets its clients take all together: connections, and memory for requests under way.

use super::{Settings, SettingsError};
use millstream_net::{AddressRates, ConnectionLimits, address_counts};
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

/// The options by name.
const MAX: &str = "max.connections";
const RATE: &str = "max.connection.creation.rate";
const PER_IP: &str = "max.connections.per.ip";
const OVERRIDES: &str = "max.connections.per.ip.overrides";
const MEMORY: &str = "queued.max.request.bytes";
const LARGEST: &str = "socket.request.max.bytes";

impl Settings {
    /// The limits of connections. `files` is how many files the process may have open: a quarter of them is left for logs.
    ///
    /// # Errors
    /// An override that is no address and number.
    pub(crate) fn connection_limits(&self, files: Option<u64>) -> Result<ConnectionLimits, SettingsError> {
        let files = files.and_then(|files| usize::try_from(files - files / 4).ok()).unwrap_or(usize::MAX);
        let max = self.broker_number::<usize>(MAX)?.min(files);
        let overrides = overrides(self.broker.get(OVERRIDES).map_or("", String::as_str))?;
        Ok(ConnectionLimits {
            max,
            rate: self.broker_number(RATE)?,
            per_address: self.broker_number(PER_IP)?,
            overrides,
            address_rates: AddressRates::default(),
        })
    }

    /// Bytes of memory for large requests of all connections.
    ///
    /// # Errors
    /// Fewer than the largest request has.
    pub(crate) fn request_memory(&self) -> Result<usize, SettingsError> {
        let (bytes, largest): (i64, i64) = (self.broker_number(MEMORY)?, self.broker_number(LARGEST)?);
        let Some(text) = self.broker.get(MEMORY) else {
            return Ok(usize::try_from(bytes.max(largest)).unwrap_or(usize::MAX));
        };
        if bytes > 0 && bytes < largest {
            let expected = format!("-1, or at least {LARGEST}, which is {largest}");
            return Err(SettingsError::Value { name: MEMORY, value: text.clone(), expected });
        }
        Ok(usize::try_from(bytes).ok().filter(|bytes| *bytes > 0).unwrap_or(usize::MAX))
    }
}

fn overrides(text: &str) -> Result<HashMap<IpAddr, usize>, SettingsError> {
    let wrong = |expected| SettingsError::Value { name: OVERRIDES, value: text.to_owned(), expected };
    let mut found = HashMap::new();
    for (host, count) in address_counts(text).map_err(|why| wrong(format!("ADDRESS:COUNT by commas: {why}")))? {
        let addresses = (host, 0).to_socket_addrs();
        let addresses = addresses.map_err(|error| {
            wrong(format!("ADDRESS:COUNT with an address, or a host that can be looked up: {host}: {error}"))
        })?;
        found.extend(addresses.map(|address| (address.ip().to_canonical(), count)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;

    fn load(set: &[&str]) -> Settings {
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        Settings::load(&Sources { set, ..Sources::default() }).unwrap()
    }

    #[test]
    fn connections_are_as_many_as_is_said_and_leave_files_for_logs() {
        let limits = load(&[]).connection_limits(Some(1_000)).unwrap();
        assert_eq!((limits.max, limits.per_address), (750, 2_147_483_647));
        let limits = load(&["max.connections=20", "max.connection.creation.rate=3", "max.connections.per.ip=0"]);
        let limits = limits.connection_limits(Some(1_000)).unwrap();
        assert_eq!((limits.max, limits.rate, limits.per_address), (20, 3, 0));
        assert_eq!(load(&["max.connections=20"]).connection_limits(None).unwrap().max, 20);
    }

    #[test]
    fn overrides_name_addresses_and_hosts() {
        let settings = load(&["max.connections.per.ip.overrides=10.0.0.1:5, [2001:db8::1]:7,localhost:9"]);
        let overrides = settings.connection_limits(None).unwrap().overrides;
        assert_eq!(overrides[&IpAddr::from([10, 0, 0, 1])], 5);
        assert_eq!(overrides[&"2001:db8::1".parse::<IpAddr>().unwrap()], 7);
        assert_eq!(overrides[&IpAddr::from([127, 0, 0, 1])], 9);
        for wrong in ["10.0.0.1", "10.0.0.1:many", ":5:", "no such host:1"] {
            let settings = load(&[&format!("max.connections.per.ip.overrides={wrong}")]);
            let error = settings.connection_limits(None).unwrap_err().to_string();
            assert!(error.contains("expected ADDRESS:COUNT"), "{wrong}: {error}");
        }
    }

    #[test]
    fn memory_for_requests_has_room_for_the_largest() {
        let memory = |set: &[&str]| load(set).request_memory();
        assert_eq!(memory(&[]).unwrap(), 256 << 20);
        assert_eq!(memory(&["socket.request.max.bytes=1000000000"]).unwrap(), 1_000_000_000);
        assert_eq!(memory(&["queued.max.request.bytes=-1"]).unwrap(), usize::MAX);
        assert_eq!(memory(&["queued.max.request.bytes=2000", "socket.request.max.bytes=1000"]).unwrap(), 2_000);
        let error = memory(&["queued.max.request.bytes=2000"]).unwrap_err().to_string();
        assert!(error.contains("at least socket.request.max.bytes, which is 104857600"), "{error}");
    }
}
