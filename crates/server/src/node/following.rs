//! Options of the broker that are set while it runs, and quotas of addresses: the parts of the node that go by them are told.

use crate::Settings;
use crate::node::core::cleaner_config;
use crate::settings::SettingsError;
use millstream_metadata::Image;
use millstream_metadata::quotas::{CONNECTION_CREATION_RATE, EntityKind};
use millstream_net::{AddressRates, ConnectionLimits, Places};
use millstream_partition::{CleanerConfig, Partitions};
use millstream_quorum::Handle as Quorum;
use millstream_runtime::Runtime;
use std::net::IpAddr;
use std::sync::Arc;

/// See the module.
pub(super) struct Following {
    pub(super) runtime: Runtime,
    pub(super) settings: Settings,
    pub(super) quorum: Quorum,
    pub(super) partitions: Partitions,
    pub(super) places: Arc<Places>,
    /// How many files the process may have open.
    pub(super) files: Option<u64>,
}

/// What the image says of it, as far as it was looked at.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    options: Vec<Option<String>>,
    address_rates: AddressRates,
}

impl Said {
    fn of(image: &Image, settings: &Settings) -> Self {
        let options = Settings::dynamic().map(|name| image.broker_option(settings.node_id, name).map(str::to_owned));
        Self { options: options.collect(), address_rates: address_rates(image) }
    }
}

fn address_rates(image: &Image) -> AddressRates {
    let mut rates = AddressRates::default();
    for (entity, limits) in image.client_quotas() {
        let Some(limit) = limits.get(CONNECTION_CREATION_RATE).copied() else { continue };
        match entity.get(&EntityKind::Ip) {
            Some(None) => rates.default = Some(limit),
            // What is no address was refused when it was set.
            Some(Some(address)) => {
                rates.own.extend(address.parse().map(|address: IpAddr| (address.to_canonical(), limit)))
            }
            None => {}
        }
    }
    rates
}

impl Following {
    /// Applies what is said now, and follows what is said later until the node stops.
    pub(super) async fn begin(self) {
        let mut images = self.quorum.watch();
        let mut said = Said::of(&images.borrow_and_update().clone(), &self.settings);
        self.apply(&said).await;
        let tasks = self.runtime.tasks.clone();
        tasks.spawn_until_stopped("options that are set while the node runs", async move {
            while images.changed().await.is_ok() {
                let now = Said::of(&images.borrow_and_update().clone(), &self.settings);
                if now != said {
                    self.apply(&now).await;
                    said = now;
                }
            }
        });
    }

    async fn apply(&self, said: &Said) {
        let (settings, files) = (self.settings.with(&said.options), self.files);
        // Hosts are looked up, which may take its time.
        let read = self.runtime.compute.run(async move {
            Ok::<_, SettingsError>((settings.connection_limits(files)?, cleaner_config(&settings)?))
        });
        match read.await {
            Ok(Ok((limits, cleaner))) => self.tell(limits, cleaner, said.address_rates.clone()),
            Ok(Err(error)) => tracing::warn!(%error, "an option of the broker can't be used; what was before it holds"),
            Err(lost) => tracing::error!(%lost, "options of the broker were not read; what was before them holds"),
        }
    }

    fn tell(&self, limits: ConnectionLimits, cleaner: CleanerConfig, address_rates: AddressRates) {
        self.places.limit(ConnectionLimits { address_rates, ..limits });
        self.partitions.set_cleaner(cleaner);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use millstream_metadata::quotas::alter;
    use std::collections::BTreeMap;

    #[test]
    fn rates_of_addresses_are_those_of_the_quotas() {
        let mut image = Image::default();
        for (kind, name, key, value) in [
            ("ip", None, CONNECTION_CREATION_RATE, 3.0),
            ("ip", Some("10.0.0.1"), CONNECTION_CREATION_RATE, 7.0),
            ("user", None, "producer_byte_rate", 5.0),
        ] {
            let parts = BTreeMap::from([(kind.to_owned(), name.map(str::to_owned))]);
            let decision = alter(&image, &parts, &[(key.to_owned(), Some(value))], false).unwrap();
            image.replay_all(&decision.records).unwrap();
        }
        let rates = address_rates(&image);
        assert_eq!((rates.default, rates.own.len(), rates.own[&IpAddr::from([10, 0, 0, 1])]), (Some(3.0), 1, 7.0));
    }
}
