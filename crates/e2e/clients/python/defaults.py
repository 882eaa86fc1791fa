"""defaults.py BOOTSTRAP TOPIC OPTION: prints what DescribeConfigs says of one option of a topic."""

import json
import sys

from confluent_kafka.admin import AdminClient, ConfigResource, ConfigSource, ResourceType

bootstrap, topic, option = sys.argv[1:]
admin = AdminClient({"bootstrap.servers": bootstrap})
resource = ConfigResource(ResourceType.TOPIC, topic)
entry = admin.describe_configs([resource])[resource].result(30)[option]
print(json.dumps({"value": entry.value, "source": ConfigSource(entry.source).name}))
