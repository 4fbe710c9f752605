"""The Docker Engine as the agent sees it: the port, and the adapter to the real one, a module for each noun."""

from seawall.agent.docker.address import DEFAULT_ADDRESS as DEFAULT_ADDRESS
from seawall.agent.docker.address import DockerAddressError as DockerAddressError
from seawall.agent.docker.address import docker_address as docker_address
from seawall.agent.docker.executions import OUTPUT_LIMIT_BYTES as OUTPUT_LIMIT_BYTES
from seawall.agent.docker.executions import Output as Output
from seawall.agent.docker.logs import LOG_LIMIT_BYTES as LOG_LIMIT_BYTES
from seawall.agent.docker.logs import LogChunk as LogChunk
from seawall.agent.docker.logs import LogTail as LogTail
from seawall.agent.docker.port import AioDocker as AioDocker
from seawall.agent.docker.port import Docker as Docker
from seawall.agent.failure import DockerFailure as DockerFailure
