//! Options as DescribeConfigs and CreateTopics show them: the value in force, where it comes from, and what it would be otherwise.

use crate::config::NodeOption;
use millstream_metadata::Image;
use millstream_metadata::client_metrics::OPTIONS;
use millstream_types::{BROKER_CONFIGS, BrokerId, ConfigDef, ConfigType, GROUP_CONFIGS, TOPIC_CONFIGS};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where a value comes from. The first that has one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Set for the topic.
    Topic,
    /// Set for the group.
    Group,
    /// Set for this broker while it runs.
    Broker,
    /// Set for all brokers while they run.
    AllBrokers,
    /// Given to this broker at start.
    Static,
    /// Set for a subscription to client metrics.
    ClientMetrics,
    /// Nobody set it.
    Default,
}

impl Source {
    /// Kafka's number.
    pub(crate) const fn wire(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 2,
            Self::AllBrokers => 3,
            Self::Static => 4,
            Self::Default => 5,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) definition_name: Cow<'static, str>,
    pub(crate) kind: ConfigType,
    /// Its value is nobody's to see.
    pub(crate) is_secret: bool,
    pub(crate) doc: &'static str,
    /// None for an option of a broker that is not set, where another gives the value.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    pub(crate) read_only: bool,
    /// The value in force and those it hides, each by the name under which it was set.
    pub(crate) synonyms: Vec<Synonym>,
}

/// A name under which an option is set, what to, and where.
pub(crate) type Synonym = (Cow<'static, str>, String, Source);

/// Kafka's number of the type of passwords.
const PASSWORD: i8 = 9;

/// Kafka's number of an option's type.
pub(crate) const fn kind(view: &View) -> i8 {
    if view.is_secret {
        return PASSWORD;
    }
    match view.kind {
        ConfigType::Boolean => 1,
        ConfigType::String => 2,
        ConfigType::Int => 3,
        ConfigType::Long => 5,
        ConfigType::Double => 6,
        ConfigType::List => 7,
    }
}

/// The options of a topic with these overrides.
pub(crate) fn of_topic(image: &Image, overrides: &BTreeMap<String, String>) -> Vec<View> {
    let layers = [
        (image.node().and_then(|node| image.broker_config(Some(node))).map(|options| &**options), Source::Broker),
        (image.broker_config(None).map(|options| &**options), Source::AllBrokers),
        (Some(&**image.static_configs()), Source::Static),
    ];
    let told = |definition: &'static ConfigDef| {
        let own = overrides.get(definition.name);
        let set = |name: &str| layers.iter().find_map(|(options, _)| options.as_ref()?.get(name));
        let inherited = || definition.inherited().find_map(|(name, units)| Some(in_units(set(name)?, units)));
        let unset = view(definition, definition.name);
        let value = own.cloned().or_else(inherited).or(unset.value);
        let mut synonyms = synonyms_of(definition, &layers);
        if let Some(own) = own {
            synonyms.insert(0, (Cow::Borrowed(definition.name), own.clone(), Source::Topic));
        }
        let source = synonyms.first().map_or(Source::Default, |(_, _, source)| *source);
        View { value, source, synonyms, ..unset }
    };
    TOPIC_CONFIGS.iter().map(told).collect()
}

/// What the broker's options say of a topic's default: layer by layer, and those that have a default for themselves. As in Kafka, nothing
/// is told that comes before the option that has the topic's units, and nothing at all where that is not set.
fn synonyms_of(definition: &'static ConfigDef, layers: &[(Option<&BTreeMap<String, String>>, Source)]) -> Vec<Synonym> {
    let names = || definition.inherited().map(|(name, _)| name);
    let set = layers.iter().flat_map(|(options, source)| {
        names().filter_map(move |name| Some((Cow::Borrowed(name), options.as_ref()?.get(name)?.clone(), *source)))
    });
    let default = |name: &'static str| match definition.synonym == Some(name) {
        true => (!definition.falls_back).then_some(definition.default),
        false => {
            let option = BROKER_CONFIGS.iter().find(|option| option.name == name)?;
            (!option.falls_back).then_some(option.default)
        }
    };
    let defaults = names().filter_map(|name| Some((Cow::Borrowed(name), default(name)?.to_owned(), Source::Default)));
    set.chain(defaults).skip_while(|(name, ..)| Some(&**name) != definition.synonym).collect()
}

/// A value of a coarser option in units of a topic's; -1 is none of either.
fn in_units(value: &str, units: i64) -> String {
    match value.trim().parse::<i64>() {
        Ok(number) if units != 1 && number >= 0 => number.saturating_mul(units).to_string(),
        _ => value.to_owned(),
    }
}

/// The options of a group. One that is not there has the broker's.
pub(crate) fn of_group(image: &Image, group: &str) -> Vec<View> {
    let set = image.group_config(group).map(|options| (**options).clone()).unwrap_or_default();
    let told = |definition: &'static ConfigDef| {
        let own = set.get(definition.name).map(|value| (Cow::Borrowed(definition.name), value.clone(), Source::Group));
        let given = definition.synonym.and_then(|name| {
            let value = image.static_configs().get(name)?;
            Some((Cow::Borrowed(name), value.clone(), Source::Static))
        });
        let default = definition.synonym.map(|name| (name, definition.default));
        View { synonyms: with_default(own.into_iter().chain(given), default), ..view(definition, definition.name) }
            .in_force()
    };
    GROUP_CONFIGS.iter().map(told).collect()
}

/// The options of this broker: its own, the defaults it gives to topics, and the rest of its node's.
pub(crate) fn of_broker(
    image: &Image,
    node: BrokerId,
    given: &BTreeMap<String, String>,
    told: &[NodeOption],
) -> Vec<View> {
    let own = BROKER_CONFIGS.iter().map(|definition| (definition, definition.name, !definition.dynamic));
    let for_topics = TOPIC_CONFIGS.iter().filter_map(|definition| Some((definition, definition.synonym?, false)));
    let layers = [
        (image.broker_config(Some(node)).map(|options| &**options), Source::Broker),
        (image.broker_config(None).map(|options| &**options), Source::AllBrokers),
        (Some(given), Source::Static),
    ];
    let mut views: Vec<View> = own
        .chain(for_topics)
        .map(|(definition, name, read_only)| {
            let set = layers.iter().filter_map(|(options, source)| {
                Some((Cow::Borrowed(name), options.as_ref()?.get(name)?.clone(), *source))
            });
            let default = (!definition.falls_back).then_some((name, definition.default));
            let unset = View { value: default.map(|(_, value)| value.to_owned()), read_only, ..view(definition, name) };
            View { synonyms: with_default(set, default), ..unset }.in_force()
        })
        .collect();
    views.extend(told.iter().map(|option| of_node(option, told)));
    views.sort_by(|a, b| a.definition_name.cmp(&b.definition_name));
    views.dedup_by(|a, b| a.definition_name == b.definition_name);
    views
}

/// An option of the node beside the broker's: set at start, or not at all.
fn of_node(option: &NodeOption, told: &[NodeOption]) -> View {
    let definition = option.definition;
    let is_shown = !definition.secret && !definition.falls_back;
    let given = option.value.iter().map(|value| (Cow::Owned(option.name.clone()), value.clone(), Source::Static));
    // What a listener has for itself hides what all have.
    let of_all = told.iter().find(|of_all| option.name != definition.name && of_all.name == definition.name);
    let of_all = of_all.and_then(|of_all| of_all.value.clone());
    let given = given.chain(of_all.map(|value| (Cow::Borrowed(definition.name), value, Source::Static)));
    let default = is_shown.then_some((definition.name, definition.default));
    let unset = View {
        definition_name: Cow::Owned(option.name.clone()),
        value: default.map(|(_, value)| value.to_owned()),
        source: if option.is_given { Source::Static } else { Source::Default },
        read_only: true,
        ..view(definition, definition.name)
    };
    View { synonyms: with_default(given, default), ..unset }.in_force()
}

/// The options of a subscription to client metrics, which need not be there.
pub(crate) fn of_client_metrics(image: &Image, name: &str) -> Vec<View> {
    let set = image.client_metrics().get(name);
    let told = |definition: &'static ConfigDef| {
        let value = set.and_then(|set| set.get(definition.name)).cloned();
        let source = if value.is_some() { Source::ClientMetrics } else { Source::Default };
        let default = view(definition, definition.name);
        View { value: value.or_else(|| default.value.clone()), source, ..default }
    };
    OPTIONS.iter().map(told).collect()
}

/// The options set for all brokers, and no others.
pub(crate) fn of_all_brokers(image: &Image) -> Vec<View> {
    let set = image.broker_config(None).map(|options| (**options).clone()).unwrap_or_default();
    let views = set.into_iter().filter_map(|(name, value)| {
        let definition = millstream_metadata::configs::broker_definition(&name)?;
        let name = if definition.name == name { definition.name } else { definition.synonym? };
        Some(
            View { synonyms: vec![(Cow::Borrowed(name), value, Source::AllBrokers)], ..view(definition, name) }
                .in_force(),
        )
    });
    views.collect()
}

/// An option that nobody set.
fn view(definition: &'static ConfigDef, name: &'static str) -> View {
    View {
        definition_name: Cow::Borrowed(name),
        kind: definition.kind,
        is_secret: definition.secret,
        doc: definition.doc,
        value: Some(definition.default.to_owned()),
        source: Source::Default,
        read_only: false,
        synonyms: Vec::new(),
    }
}

/// What is set, and what would be in force otherwise.
fn with_default(set: impl Iterator<Item = Synonym>, default: Option<(&'static str, &'static str)>) -> Vec<Synonym> {
    set.chain(default.map(|(name, value)| (Cow::Borrowed(name), value.to_owned(), Source::Default))).collect()
}

impl View {
    /// The same with the first of its synonyms as its value.
    fn in_force(mut self) -> Self {
        if let Some((_, value, source)) = self.synonyms.first() {
            (self.value, self.source) = (Some(value.clone()), *source);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(views: &[View], name: &str) -> View {
        views.iter().find(|view| view.definition_name == name).unwrap().clone()
    }

    #[test]
    fn a_topics_own_value_hides_the_default() {
        let overrides = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        let views = of_topic(&Image::default(), &overrides);
        let view = find(&views, "retention.ms");
        assert_eq!((view.value.as_deref(), view.source), (Some("5"), Source::Topic));
        assert_eq!(
            view.synonyms,
            [("retention.ms".into(), "5".to_owned(), Source::Topic)],
            "log.retention.ms is not set"
        );
        let default = ("log.retention.bytes".into(), "-1".to_owned(), Source::Default);
        assert_eq!(find(&views, "retention.bytes").synonyms, [default]);
        assert_eq!(find(&views, "segment.ms").source, Source::Default);
        assert_eq!(views.len(), TOPIC_CONFIGS.len());
    }

    #[test]
    fn a_topic_inherits_what_the_broker_was_started_with_by_its_name_there() {
        let given = BTreeMap::from([("log.retention.ms".to_owned(), "1000".to_owned())]);
        let image = Image::default().on_node(None, std::sync::Arc::new(given)).unwrap();
        let view = find(&of_topic(&image, &BTreeMap::new()), "retention.ms");
        assert_eq!((view.value.as_deref(), view.source), (Some("1000"), Source::Static));
        let given = ("log.retention.ms".into(), "1000".to_owned(), Source::Static);
        let default = ("log.retention.hours".into(), "168".to_owned(), Source::Default);
        assert_eq!(view.synonyms, [given.clone(), default.clone()]);
        let overrides = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        let view = find(&of_topic(&image, &overrides), "retention.ms");
        assert_eq!(view.synonyms, [("retention.ms".into(), "5".to_owned(), Source::Topic), given, default]);
    }

    #[test]
    fn what_a_coarser_option_gives_is_told_in_the_topics_units_and_not_where_it_comes_from() {
        let given = BTreeMap::from([("log.roll.hours".to_owned(), "2".to_owned())]);
        let image = Image::default().on_node(None, std::sync::Arc::new(given)).unwrap();
        let view = find(&of_topic(&image, &BTreeMap::new()), "segment.ms");
        assert_eq!((view.value.as_deref(), view.source), (Some("7200000"), Source::Default));
        assert_eq!(view.synonyms, []);
    }

    #[test]
    fn what_a_broker_was_started_with_is_static() {
        let given = BTreeMap::from([("num.partitions".to_owned(), "6".to_owned())]);
        let views = of_broker(&Image::default(), BrokerId(1), &given, &[]);
        let view = find(&views, "num.partitions");
        assert_eq!((view.value.as_deref(), view.source, view.read_only), (Some("6"), Source::Static, true));
        assert!(views.windows(2).all(|pair| pair[0].definition_name < pair[1].definition_name));
    }

    #[test]
    fn what_another_option_gives_is_not_set_on_a_broker() {
        let given = BTreeMap::from([("log.roll.ms".to_owned(), "7".to_owned())]);
        let views = of_broker(&Image::default(), BrokerId(1), &given, &[]);
        for name in ["log.retention.ms", "log.retention.minutes", "log.roll.jitter.ms", "log.flush.interval.ms"] {
            let view = find(&views, name);
            assert_eq!((view.value.as_deref(), view.source, view.synonyms), (None, Source::Default, vec![]), "{name}");
        }
        assert_eq!(find(&views, "log.retention.hours").value.as_deref(), Some("168"));
        let view = find(&views, "log.roll.ms");
        assert_eq!((view.value.as_deref(), view.source), (Some("7"), Source::Static));
    }

    #[test]
    fn a_nodes_options_are_told_and_its_secrets_are_not() {
        static SECRET: ConfigDef = ConfigDef::new("a.secret", ConfigType::String, "", "").secret();
        static TYPE: ConfigDef = ConfigDef::new("a.type", ConfigType::String, "PEM", "");
        static PLACE: ConfigDef = ConfigDef::new("a.place", ConfigType::String, "", "").falls_back();
        let option = |name: &str, definition, value: Option<&str>| NodeOption {
            name: name.to_owned(),
            definition,
            is_given: value.is_some(),
            value: value.map(str::to_owned),
        };
        let told = [
            NodeOption { is_given: true, ..option("a.secret", &SECRET, None) },
            option("a.type", &TYPE, None),
            option("a.place", &PLACE, None),
            option("listener.name.door.a.place", &PLACE, Some("here")),
        ];
        let views = of_broker(&Image::default(), BrokerId(1), &BTreeMap::new(), &told);
        let found = |name: &str| {
            let view = find(&views, name);
            (kind(&view), view.value, view.source)
        };
        assert_eq!(found("a.secret"), (PASSWORD, None, Source::Static));
        assert_eq!(found("a.type"), (2, Some("PEM".to_owned()), Source::Default));
        assert_eq!(found("a.place"), (2, None, Source::Default));
        assert_eq!(found("listener.name.door.a.place"), (2, Some("here".to_owned()), Source::Static));
        let synonyms = find(&views, "listener.name.door.a.place").synonyms;
        assert_eq!(synonyms, [("listener.name.door.a.place".into(), "here".to_owned(), Source::Static)]);
    }

    #[test]
    fn nothing_is_set_for_all_brokers_at_first() {
        assert_eq!(of_all_brokers(&Image::default()), []);
    }
}
