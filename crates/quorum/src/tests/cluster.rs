//! Several nodes over a network in memory: the one code path carries a cluster, and a controller that is cut off decides nothing.

use super::{DATA, config, create, life, look, topic_names};
use crate::network::{Peers, Target};
use crate::raft_types::{Peer, ReplicaId, Snapshot, TypeConfig, Vote};
use crate::{Config, Error, Handle, Inbound, Service};
use async_trait::async_trait;
use millstream_runtime::{Runtime, SimDisk};
use millstream_types::{BrokerId, ClusterId};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Nodes that reach each other, but for those that are cut off.
#[derive(Default)]
struct Net {
    nodes: Mutex<BTreeMap<BrokerId, Inbound>>,
    cut: Mutex<BTreeSet<BrokerId>>,
}

/// One node's way into the network.
struct Wire(Arc<Net>, BrokerId);

impl Wire {
    fn to(&self, target: &Target) -> Result<Inbound, String> {
        let cut = self.0.cut.lock();
        if cut.contains(&self.1) || cut.contains(&target.id.node) {
            return Err("the network is cut".into());
        }
        self.0.nodes.lock().get(&target.id.node).cloned().ok_or_else(|| "no such node".into())
    }
}

#[async_trait]
impl Peers for Wire {
    async fn append_entries(
        &self,
        target: &Target,
        request: AppendEntriesRequest<TypeConfig>,
    ) -> Result<AppendEntriesResponse<TypeConfig>, String> {
        self.to(target)?.append_entries(request).await
    }

    async fn vote(
        &self,
        target: &Target,
        request: VoteRequest<TypeConfig>,
    ) -> Result<VoteResponse<TypeConfig>, String> {
        self.to(target)?.vote(request).await
    }

    async fn pre_vote(
        &self,
        target: &Target,
        request: VoteRequest<TypeConfig>,
    ) -> Result<VoteResponse<TypeConfig>, String> {
        self.to(target)?.pre_vote(request).await
    }

    async fn snapshot(
        &self,
        target: &Target,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<TypeConfig>, String> {
        self.to(target)?.snapshot(vote, snapshot).await
    }
}

struct Cluster {
    net: Arc<Net>,
    nodes: Vec<Handle>,
}

fn settings(net: &Arc<Net>, node: i32) -> Config {
    let id = BrokerId(node);
    let mut settings = config(DATA);
    settings.node_id = id;
    settings.form = node == 1;
    settings.cluster_id = Some(ClusterId(uuid::Uuid::from_u128(77)));
    settings.peers = Arc::new(Wire(net.clone(), id));
    (settings.snapshot_entries, settings.kept_entries, settings.segment_bytes_max) = (40, 5, 4 << 10);
    settings
}

async fn start_node(runtime: &Runtime, net: &Arc<Net>, node: i32, disk: &Arc<SimDisk>) -> Handle {
    let own = Runtime { disk: disk.clone(), tasks: millstream_runtime::Tasks::new(), ..runtime.clone() };
    let handle = Service::start(&own, settings(net, node)).await.unwrap();
    net.nodes.lock().insert(BrokerId(node), handle.inbound());
    handle
}

async fn three(runtime: &Runtime, disks: &[Arc<SimDisk>; 3]) -> Cluster {
    let net = Arc::new(Net::default());
    let mut nodes = Vec::new();
    for (node, disk) in (1..).zip(disks) {
        nodes.push(start_node(runtime, &net, node, disk).await);
    }
    let raft = &nodes[0].shared().raft;
    for other in &nodes[1..] {
        raft.add_learner(other.replica_id(), Peer::default(), true).await.unwrap();
    }
    let voters: BTreeSet<ReplicaId> = nodes.iter().map(Handle::replica_id).collect();
    raft.change_membership(voters, false).await.unwrap();
    Cluster { net, nodes }
}

impl Cluster {
    /// The first of these nodes that leads, once one does.
    async fn leader_among(&self, runtime: &Runtime, nodes: &[usize]) -> usize {
        for _ in 0..600 {
            for node in nodes {
                if self.nodes[*node].decide(look).await.is_ok() {
                    return *node;
                }
            }
            runtime.clock.sleep(Duration::from_millis(100)).await;
        }
        panic!("nobody of {nodes:?} leads after a minute");
    }
}

/// Waits until the node has these topics.
async fn has(runtime: &Runtime, handle: &Handle, names: &[&str]) {
    let mut watch = handle.watch();
    let seen = watch.wait_for(|image| topic_names(image) == names);
    tokio::select! {
        seen = seen => drop(seen.unwrap()),
        () = runtime.clock.sleep(Duration::from_secs(60)) => panic!("{} has {:?}", handle.node_id(), topic_names(&handle.image())),
    }
}

fn disks() -> [Arc<SimDisk>; 3] {
    [(); 3].map(|()| Arc::new(SimDisk::new()))
}

#[test]
fn every_node_replays_what_the_controller_decides() {
    let disks = disks();
    life(1, &disks[0], async |runtime| {
        let cluster = three(&runtime, &disks).await;
        create(&cluster.nodes[0], "a", 1).await.unwrap();
        for node in &cluster.nodes {
            has(&runtime, node, &["a"]).await;
            assert_eq!(node.image().cluster_id(), cluster.nodes[0].image().cluster_id());
        }
        let refused = create(&cluster.nodes[1], "b", 2).await;
        assert!(matches!(refused, Err(Error::NotLeader { leader: BrokerId(1) })));
    });
}

#[test]
fn a_controller_that_is_cut_off_decides_nothing_and_learns_what_was_decided() {
    for seed in 0..20 {
        let disks = disks();
        life(seed, &disks[0], async |runtime| {
            let cluster = three(&runtime, &disks).await;
            create(&cluster.nodes[0], "before", 1).await.unwrap();
            cluster.net.cut.lock().insert(BrokerId(1));
            let old = cluster.nodes[0].clone();
            let (lost, ()) = tokio::join!(create(&old, "lost", 2), async {
                let new = cluster.leader_among(&runtime, &[1, 2]).await;
                create(&cluster.nodes[new], "after", 3).await.unwrap();
                cluster.net.cut.lock().clear();
            });
            assert!(matches!(lost, Err(Error::Unknown | Error::Superseded)), "seed {seed}: {lost:?}");
            for node in &cluster.nodes {
                has(&runtime, node, &["after", "before"]).await;
            }
            let leader = cluster.leader_among(&runtime, &[0, 1, 2]).await;
            create(&cluster.nodes[leader], "lost", 4).await.expect("the name was never taken");
            has(&runtime, &cluster.nodes[0], &["after", "before", "lost"]).await;
        });
        // The old controller's log, in which entries were voided, reads well.
        life(seed, &disks[0], async |runtime| {
            let node = start_node(&runtime, &Arc::new(Net::default()), 1, &disks[0]).await;
            assert!(topic_names(&node.image()).contains(&"before".to_owned()));
        });
    }
}

#[test]
fn a_node_that_was_away_for_long_catches_up_from_a_snapshot() {
    let disks = disks();
    life(5, &disks[0], async |runtime| {
        let cluster = three(&runtime, &disks).await;
        cluster.net.cut.lock().insert(BrokerId(3));
        for number in 0..150 {
            create(&cluster.nodes[0], &format!("topic-{number:03}"), number).await.unwrap();
        }
        runtime.clock.sleep(Duration::from_secs(5)).await;
        cluster.net.cut.lock().clear();
        let names: Vec<String> = (0..150).map(|number| format!("topic-{number:03}")).collect();
        has(&runtime, &cluster.nodes[2], &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let snapshots =
            disks[2].files().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "snapshot"));
        assert!(snapshots.count() > 0, "it should have been sent a snapshot");
    });
    life(6, &disks[2], async |runtime| {
        let node = start_node(&runtime, &Arc::new(Net::default()), 3, &disks[2]).await;
        assert!(node.image().topic_count() >= 100, "what it was sent is its own after a restart");
    });
}
