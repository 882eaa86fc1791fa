import java.io.*; import java.nio.ByteBuffer; import java.util.*;
import org.apache.kafka.common.Uuid; import org.apache.kafka.common.protocol.*;
import org.apache.kafka.coordinator.group.generated.*;
public class Golden {
  static DataOutputStream out;
  static void put(ByteBuffer b) throws IOException { if (b==null) { out.writeInt(-1); return; } byte[] a=new byte[b.remaining()]; b.get(a); out.writeInt(a.length); out.write(a); }
  static void rec(ByteBuffer k, ByteBuffer v) throws IOException { put(k); put(v); }
  static ByteBuffer val(Message m, int v) { return MessageUtil.toVersionPrefixedByteBuffer((short) v, m); }
  static ByteBuffer key(Message m, int api) { ByteBuffer b=MessageUtil.toVersionPrefixedByteBuffer((short)0,m); b.putShort(0,(short)api); return b; }
  public static void main(String[] a) throws Exception {
    out = new DataOutputStream(new FileOutputStream(a[0]));
    OffsetCommitKey ok=new OffsetCommitKey().setGroup("grüppe").setTopic("a.topic").setPartition(7);
    OffsetCommitValue ov=new OffsetCommitValue().setOffset(1234567890123L).setLeaderEpoch(5).setMetadata("mëta").setCommitTimestamp(1767225600000L).setExpireTimestamp(1767225700000L);
    for (int v=0; v<=4; v++) rec(key(ok,1), val(ov,v));                                  // 0..4
    rec(key(ok,1), val(new OffsetCommitValue().setOffset(1).setMetadata("").setCommitTimestamp(2).setTopicId(new Uuid(0x0123456789abcdefL,0x1122334455667788L)),4)); // 5
    rec(key(ok,1), null);                                                                  // 6
    rec(key(new LegacyOffsetCommitKey().setGroup("g").setTopic("t").setPartition(0),0), val(new LegacyOffsetCommitValue().setOffset(9).setMetadata("m").setCommitTimestamp(8),0)); // 7
    GroupMetadataKey gk=new GroupMetadataKey().setGroup("grüppe");
    List<GroupMetadataValue.MemberMetadata> ms=new ArrayList<>();
    ms.add(new GroupMetadataValue.MemberMetadata().setMemberId("m-1").setGroupInstanceId("i-1").setClientId("c").setClientHost("/127.0.0.1").setRebalanceTimeout(300000).setSessionTimeout(45000).setSubscription(new byte[]{1,2,3}).setAssignment(new byte[]{4,5}));
    ms.add(new GroupMetadataValue.MemberMetadata().setMemberId("m-2").setClientId("").setClientHost("/::1").setRebalanceTimeout(1).setSessionTimeout(6000).setSubscription(new byte[0]).setAssignment(new byte[0]));
    for (int v=0; v<=4; v++) { GroupMetadataValue gv=new GroupMetadataValue().setProtocolType("consumer").setGeneration(42).setProtocol("range").setLeader("m-1").setCurrentStateTimestamp(1767225600001L).setMembers(ms);
      rec(key(gk,2), val(gv,v)); }                                                         // 8..12
    rec(key(gk,2), val(new GroupMetadataValue().setProtocolType("consumer").setGeneration(43).setProtocol(null).setLeader(null).setCurrentStateTimestamp(1L).setMembers(List.of()),3)); // 13
    rec(key(gk,2), null);                                                                  // 14
    rec(key(new ConsumerGroupMetadataKey().setGroupId("x"),3), val(new ConsumerGroupMetadataValue().setEpoch(1),0)); // 15
    Uuid t=new Uuid(0x0123456789abcdefL,0x1122334455667788L), u=new Uuid(0x0123456789abcdefL,0x1122334455667789L);
    rec(key(new ConsumerGroupMetadataKey().setGroupId("grüppe"),3), val(new ConsumerGroupMetadataValue().setEpoch(7).setMetadataHash(-5L),0)); // 16
    rec(key(new ConsumerGroupMetadataKey().setGroupId("g"),3), null);                      // 17
    rec(key(new ConsumerGroupPartitionMetadataKey().setGroupId("g"),4), val(new ConsumerGroupPartitionMetadataValue().setTopics(List.of(new ConsumerGroupPartitionMetadataValue.TopicMetadata().setTopicId(t).setTopicName("a").setNumPartitions(3))),0)); // 18
    rec(key(new ConsumerGroupPartitionMetadataKey().setGroupId("g"),4), null);             // 19
    rec(key(new ConsumerGroupMemberMetadataKey().setGroupId("g").setMemberId("m-1"),5), val(new ConsumerGroupMemberMetadataValue().setInstanceId("i-1").setRackId("r").setClientId("c").setClientHost("/127.0.0.1").setSubscribedTopicNames(List.of("a","b")).setSubscribedTopicRegex("x.*").setRebalanceTimeoutMs(300000).setServerAssignor("uniform"),0)); // 20
    rec(key(new ConsumerGroupMemberMetadataKey().setGroupId("g").setMemberId("m-2"),5), val(new ConsumerGroupMemberMetadataValue().setClientId("").setClientHost("/::1").setSubscribedTopicNames(List.of("a")).setRebalanceTimeoutMs(-1).setClassicMemberMetadata(new ConsumerGroupMemberMetadataValue.ClassicMemberMetadata().setSessionTimeoutMs(45000).setSupportedProtocols(List.of(new ConsumerGroupMemberMetadataValue.ClassicProtocol().setName("range").setMetadata(new byte[]{1,2,3})))),0)); // 21
    rec(key(new ConsumerGroupMemberMetadataKey().setGroupId("g").setMemberId("m-2"),5), null); // 22
    rec(key(new ConsumerGroupTargetAssignmentMetadataKey().setGroupId("g"),6), val(new ConsumerGroupTargetAssignmentMetadataValue().setAssignmentEpoch(7).setAssignmentTimestamp(1767225600000L),0)); // 23
    rec(key(new ConsumerGroupTargetAssignmentMetadataKey().setGroupId("g"),6), null);      // 24
    rec(key(new ConsumerGroupTargetAssignmentMemberKey().setGroupId("g").setMemberId("m-1"),7), val(new ConsumerGroupTargetAssignmentMemberValue().setTopicPartitions(List.of(new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(t).setPartitions(List.of(0,2)),new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(u).setPartitions(List.of(1)))),0)); // 25
    rec(key(new ConsumerGroupTargetAssignmentMemberKey().setGroupId("g").setMemberId("m-1"),7), null); // 26
    rec(key(new ConsumerGroupCurrentMemberAssignmentKey().setGroupId("g").setMemberId("m-1"),8), val(new ConsumerGroupCurrentMemberAssignmentValue().setMemberEpoch(7).setPreviousMemberEpoch(6).setState(org.apache.kafka.coordinator.group.modern.MemberState.UNREVOKED_PARTITIONS.value()).setAssignedPartitions(List.of(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(t).setPartitions(List.of(0,2)).setAssignmentEpochs(List.of(7,5)))).setPartitionsPendingRevocation(List.of(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(u).setPartitions(List.of(1)).setAssignmentEpochs(List.of(6)))),0)); // 27
    rec(key(new ConsumerGroupCurrentMemberAssignmentKey().setGroupId("g").setMemberId("m-2"),8), val(new ConsumerGroupCurrentMemberAssignmentValue().setMemberEpoch(7).setPreviousMemberEpoch(6).setState(org.apache.kafka.coordinator.group.modern.MemberState.UNRELEASED_PARTITIONS.value()).setAssignedPartitions(List.of(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(t).setPartitions(List.of(1)))).setPartitionsPendingRevocation(List.of()),0)); // 28, as Kafka 4.2 and before wrote it
    rec(key(new ConsumerGroupCurrentMemberAssignmentKey().setGroupId("g").setMemberId("m-1"),8), null); // 29
    rec(key(new ConsumerGroupRegularExpressionKey().setGroupId("g").setRegularExpression("x.*"),16), val(new ConsumerGroupRegularExpressionValue().setTopics(List.of("xa","xb")).setVersion(12L).setTimestamp(1767225600000L),0)); // 30
    rec(key(new ConsumerGroupRegularExpressionKey().setGroupId("g").setRegularExpression("x.*"),16), null); // 31
    rec(key(new ShareGroupMetadataKey().setGroupId("s"),11), val(new ShareGroupMetadataValue().setEpoch(1),0)); // 32
    rec(key(new ShareGroupMemberMetadataKey().setGroupId("s").setMemberId("m-1"),10), val(new ShareGroupMemberMetadataValue().setRackId("r").setClientId("c").setClientHost("/127.0.0.1").setSubscribedTopicNames(List.of("a","b")),0)); // 33
    rec(key(new ShareGroupMemberMetadataKey().setGroupId("s").setMemberId("m-1"),10), null); // 34
    rec(key(new ShareGroupMetadataKey().setGroupId("grüppe"),11), val(new ShareGroupMetadataValue().setEpoch(7).setMetadataHash(-5L),0)); // 35
    rec(key(new ShareGroupMetadataKey().setGroupId("s"),11), null);                        // 36
    rec(key(new ShareGroupTargetAssignmentMetadataKey().setGroupId("s"),12), val(new ShareGroupTargetAssignmentMetadataValue().setAssignmentEpoch(7).setAssignmentTimestamp(1767225600000L),0)); // 37
    rec(key(new ShareGroupTargetAssignmentMetadataKey().setGroupId("s"),12), null);        // 38
    rec(key(new ShareGroupTargetAssignmentMemberKey().setGroupId("s").setMemberId("m-1"),13), val(new ShareGroupTargetAssignmentMemberValue().setTopicPartitions(List.of(new ShareGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(t).setPartitions(List.of(0,2)),new ShareGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(u).setPartitions(List.of(1)))),0)); // 39
    rec(key(new ShareGroupTargetAssignmentMemberKey().setGroupId("s").setMemberId("m-1"),13), null); // 40
    rec(key(new ShareGroupCurrentMemberAssignmentKey().setGroupId("s").setMemberId("m-1"),14), val(new ShareGroupCurrentMemberAssignmentValue().setMemberEpoch(7).setPreviousMemberEpoch(6).setState((byte)0).setAssignedPartitions(List.of(new ShareGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(t).setPartitions(List.of(0,2)))),0)); // 41
    rec(key(new ShareGroupCurrentMemberAssignmentKey().setGroupId("s").setMemberId("m-1"),14), null); // 42
    rec(key(new ShareGroupStatePartitionMetadataKey().setGroupId("s"),15), val(new ShareGroupStatePartitionMetadataValue().setInitializingTopics(List.of(new ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo().setTopicId(t).setTopicName("a").setPartitions(List.of(2)))).setInitializedTopics(List.of(new ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo().setTopicId(t).setTopicName("a").setPartitions(List.of(0,1)))).setDeletingTopics(List.of(new ShareGroupStatePartitionMetadataValue.TopicInfo().setTopicId(u).setTopicName("b"))),0)); // 43
    rec(key(new ShareGroupStatePartitionMetadataKey().setGroupId("s"),15), null);          // 44
    rec(key(new StreamsGroupMetadataKey().setGroupId("s"),17), val(new StreamsGroupMetadataValue().setEpoch(1),0)); // 45
    out.close();
    shareStates(a[1]);
  }
  // The records of __share_group_state.
  static void shareStates(String file) throws Exception {
    out = new DataOutputStream(new FileOutputStream(file));
    Uuid t=new Uuid(0x0123456789abcdefL,0x1122334455667788L);
    var sk=new org.apache.kafka.coordinator.share.generated.ShareSnapshotKey().setGroupId("grüppe").setTopicId(t).setPartition(7);
    var sb=List.of(new org.apache.kafka.coordinator.share.generated.ShareSnapshotValue.StateBatch().setFirstOffset(10).setLastOffset(19).setDeliveryState((byte)0).setDeliveryCount((short)2),new org.apache.kafka.coordinator.share.generated.ShareSnapshotValue.StateBatch().setFirstOffset(20).setLastOffset(20).setDeliveryState((byte)4).setDeliveryCount((short)5));
    rec(key(sk,0), val(new org.apache.kafka.coordinator.share.generated.ShareSnapshotValue().setSnapshotEpoch(3).setStateEpoch(2).setLeaderEpoch(9).setStartOffset(10).setDeliveryCompleteCount(1).setCreateTimestamp(1767225600000L).setWriteTimestamp(1767225700000L).setStateBatches(sb),0)); // 0
    rec(key(sk,0), val(new org.apache.kafka.coordinator.share.generated.ShareSnapshotValue().setSnapshotEpoch(0).setStateEpoch(0).setLeaderEpoch(0).setStartOffset(-1),0)); // 1
    rec(key(sk,0), null); // 2
    var uk=new org.apache.kafka.coordinator.share.generated.ShareUpdateKey().setGroupId("grüppe").setTopicId(t).setPartition(7);
    var ub=List.of(new org.apache.kafka.coordinator.share.generated.ShareUpdateValue.StateBatch().setFirstOffset(10).setLastOffset(12).setDeliveryState((byte)2).setDeliveryCount((short)1));
    rec(key(uk,1), val(new org.apache.kafka.coordinator.share.generated.ShareUpdateValue().setSnapshotEpoch(3).setLeaderEpoch(9).setStartOffset(10).setDeliveryCompleteCount(3).setStateBatches(ub),0)); // 3
    rec(key(uk,1), val(new org.apache.kafka.coordinator.share.generated.ShareUpdateValue().setSnapshotEpoch(3).setLeaderEpoch(9).setStartOffset(-1),0)); // 4
    rec(key(uk,1), null); // 5
    out.close();
  }
}
