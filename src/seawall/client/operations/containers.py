"""Look at containers, make, start and stop them, on one host or on many.

Made from `operations/containers.py` by `make generate`: change it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from seawall.client.delivery import Delivery, On
from seawall.client.operations.group import Group
from seawall.client.parcels import Source
from seawall.client.results import Results
from seawall.client.streams import Stream


class Containers(Group):
    """Look at containers, make, start and stop them, on one host or on many."""

    async def list(
        self,
        *,
        on: On = None,
        all: bool = True,
        name: Sequence[str] | None = None,
        label: Sequence[str] | None = None,
        status: Sequence[str] | None = None,
        image: Sequence[str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """List the host's containers.

        - `all`: stopped ones as well
        - `name`: only those with one of these texts in their names
        - `label`: only those with all of these labels: key, or key=value
        - `status`: only those in one of these states
        - `image`: only those of one of these images, or of one made from it
        """
        return await self._perform(
            "container_list",
            on,
            {"all": all, "name": name, "label": label, "status": status, "image": image},
            delivery,
        )

    async def inspect(
        self, container: str, *, on: On = None, show_env: bool = False, **delivery: Unpack[Delivery]
    ) -> Results:
        """What Docker knows about a container; what its environment variables hold only if that is asked for.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `show_env`: show what environment variables hold, and keep it with the answer
        """
        return await self._perform(
            "container_inspect", on, {"container": container, "show_env": show_env}, delivery
        )

    async def logs(
        self,
        container: str,
        *,
        on: On = None,
        tail: int = 100,
        timestamps: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """The end of a container's log.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `tail`: how many lines
        - `timestamps`: put the time before each line
        """
        return await self._perform(
            "container_logs", on, {"container": container, "tail": tail, "timestamps": timestamps}, delivery
        )

    async def start(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Start a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("container_start", on, {"container": container}, delivery)

    async def stop(
        self, container: str, *, on: On = None, grace_seconds: int | None = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Stop a container: ask it, and kill it when the grace is over.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `grace_seconds`: how long the container may take to stop before it is killed
        """
        return await self._perform(
            "container_stop", on, {"container": container, "grace_seconds": grace_seconds}, delivery
        )

    async def restart(
        self, container: str, *, on: On = None, grace_seconds: int | None = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Stop a container and start it again.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `grace_seconds`: how long the container may take to stop before it is killed
        """
        return await self._perform(
            "container_restart", on, {"container": container, "grace_seconds": grace_seconds}, delivery
        )

    async def kill(
        self, container: str, *, on: On = None, signal: str = "SIGKILL", **delivery: Unpack[Delivery]
    ) -> Results:
        """Send a signal to a container's main process.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `signal`: a signal's name such as SIGTERM, or its number
        """
        return await self._perform("container_kill", on, {"container": container, "signal": signal}, delivery)

    async def rename(
        self, container: str, name: str, *, on: On = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Give a container another name.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `name`: the new name
        """
        return await self._perform("container_rename", on, {"container": container, "name": name}, delivery)

    async def remove(
        self,
        container: str,
        *,
        on: On = None,
        force: bool = False,
        volumes: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Remove a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `force`: kill it first if it runs
        - `volumes`: remove its anonymous volumes too
        """
        return await self._perform(
            "container_remove", on, {"container": container, "force": force, "volumes": volumes}, delivery
        )

    async def pause(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Freeze a container's processes.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("container_pause", on, {"container": container}, delivery)

    async def unpause(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """Let the processes of a paused container go on.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("container_unpause", on, {"container": container}, delivery)

    async def set_limits(
        self,
        container: str,
        *,
        on: On = None,
        memory: str | None = None,
        memory_swap: str | None = None,
        memory_reservation: str | None = None,
        cpus: float | None = None,
        cpu_shares: int | None = None,
        cpuset: str | None = None,
        pids: int | None = None,
        restart: str | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Change what a container may use, and when Docker starts it again.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `memory`: the most memory it may use, such as 512m
        - `memory_swap`: the most memory and swap together, -1 for no limit; twice the memory unless told
          otherwise
        - `memory_reservation`: the memory it is held to when the host runs short
        - `cpus`: the most CPUs it may use, such as 1.5
        - `cpu_shares`: its weight against other containers, usually 1024
        - `cpuset`: the CPUs it may run on, such as 0-2,4
        - `pids`: the most processes it may have, -1 for no limit
        - `restart`: when Docker starts it again: no, always, unless-stopped or on-failure[:retries]
        """
        return await self._perform(
            "container_set_limits",
            on,
            {
                "container": container,
                "memory": memory,
                "memory_swap": memory_swap,
                "memory_reservation": memory_reservation,
                "cpus": cpus,
                "cpu_shares": cpu_shares,
                "cpuset": cpuset,
                "pids": pids,
                "restart": restart,
            },
            delivery,
        )

    async def wait(
        self, container: str, *, on: On = None, until: str = "not-running", **delivery: Unpack[Delivery]
    ) -> Results:
        """Wait until a container has ended; its exit code.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `until`: not-running, next-exit, or removed
        """
        return await self._perform("container_wait", on, {"container": container, "until": until}, delivery)

    async def top(
        self, container: str, *, on: On = None, columns: str = "-ef", **delivery: Unpack[Delivery]
    ) -> Results:
        """The processes of a container.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `columns`: what ps tells of them, as its own options
        """
        return await self._perform(
            "container_top", on, {"container": container, "columns": columns}, delivery
        )

    async def stats(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """What a container uses now.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("container_stats", on, {"container": container}, delivery)

    async def diff(self, container: str, *, on: On = None, **delivery: Unpack[Delivery]) -> Results:
        """What differs between a container's files and its image's.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return await self._perform("container_diff", on, {"container": container}, delivery)

    async def exec(
        self,
        container: str,
        command: Sequence[str],
        *,
        on: On = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        working_dir: str | None = None,
        privileged: bool = False,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Run a command in a running container to its end; its exit code and what it wrote.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `command`: the program and its arguments
        - `env`: environment variables; kept sealed
        - `user`: the user, or user:group, that runs it
        - `working_dir`: the directory it starts in
        - `privileged`: give it the whole host
        """
        return await self._perform(
            "container_exec",
            on,
            {
                "container": container,
                "command": command,
                "env": env,
                "user": user,
                "working_dir": working_dir,
                "privileged": privileged,
            },
            delivery,
        )

    async def copy_in(
        self, container: str, path: str, source: Source, *, on: On = None, **delivery: Unpack[Delivery]
    ) -> Results:
        """Put files into a directory of a container; those that have the same names are replaced.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `path`: the directory in the container, from its root on; it has to be there
        - `source`: the file or directory, named as it will be there; a directory's content if it ends with
          '/.'
        """
        return await self._send(
            "container_copy_in", source, on, {"container": container, "path": path}, delivery
        )

    async def create(
        self,
        image: str,
        command: Sequence[str] | None = None,
        *,
        on: On = None,
        name: str | None = None,
        entrypoint: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        hostname: str | None = None,
        user: str | None = None,
        working_dir: str | None = None,
        tty: bool = False,
        stdin: bool = False,
        init: bool = False,
        auto_remove: bool = False,
        stop_signal: str | None = None,
        stop_timeout_seconds: int | None = None,
        volumes: Sequence[str] | None = None,
        mounts: Sequence[str] | None = None,
        tmpfs: Sequence[str] | None = None,
        volumes_from: Sequence[str] | None = None,
        read_only: bool = False,
        shm_size: str | None = None,
        ports: Sequence[str] | None = None,
        expose: Sequence[str] | None = None,
        publish_all: bool = False,
        networks: Sequence[str] | None = None,
        network_mode: str | None = None,
        extra_hosts: Sequence[str] | None = None,
        dns: Sequence[str] | None = None,
        dns_search: Sequence[str] | None = None,
        dns_options: Sequence[str] | None = None,
        memory: str | None = None,
        memory_swap: str | None = None,
        memory_reservation: str | None = None,
        cpus: float | None = None,
        cpu_shares: int | None = None,
        cpuset: str | None = None,
        pids: int | None = None,
        restart: str | None = None,
        privileged: bool = False,
        cap_add: Sequence[str] | None = None,
        cap_drop: Sequence[str] | None = None,
        devices: Sequence[str] | None = None,
        security_opt: Sequence[str] | None = None,
        group_add: Sequence[str] | None = None,
        pid_mode: str | None = None,
        ipc_mode: str | None = None,
        uts_mode: str | None = None,
        userns_mode: str | None = None,
        cgroupns_mode: str | None = None,
        cgroup_parent: str | None = None,
        sysctls: Mapping[str, str] | None = None,
        ulimits: Sequence[str] | None = None,
        runtime: str | None = None,
        health_command: str | None = None,
        health_interval_seconds: float | None = None,
        health_timeout_seconds: float | None = None,
        health_start_seconds: float | None = None,
        health_retries: int | None = None,
        no_health_check: bool = False,
        log_driver: str | None = None,
        log_options: Mapping[str, str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Create a container without starting it.

        - `image`: the image's reference, such as nginx:1.27
        - `command`: the command to run in place of the image's own
        - `name`: its name: at least two letters, digits, '_', '.' and '-', the first a letter or a digit;
          Docker makes one up unless told
        - `entrypoint`: the program to run in place of the image's own, and what goes before the command
        - `env`: environment variables; kept sealed
        - `labels`: labels
        - `hostname`: its name for itself
        - `user`: the user, or user:group, that its program runs as
        - `working_dir`: the directory its program starts in
        - `tty`: give it a terminal
        - `stdin`: keep its input open
        - `init`: run a small init as its first process, which reaps the others
        - `auto_remove`: remove it when it ends
        - `stop_signal`: the signal that asks it to end
        - `stop_timeout_seconds`: how long it may take to end before it is killed
        - `volumes`: volumes and host paths: source:target[:ro]
        - `mounts`: mounts: type=bind|volume|tmpfs,source=...,target=...[,readonly]
        - `tmpfs`: file systems in memory: path[:options]
        - `volumes_from`: containers whose mounts it gets too
        - `read_only`: its own files can't be changed
        - `shm_size`: the size of /dev/shm, such as 64m
        - `ports`: published ports: [[address:]host port:]port[/protocol]
        - `expose`: ports that are told, but not published: port[/protocol]
        - `publish_all`: publish all exposed ports at ports of Docker's choice
        - `networks`: networks: a name, or name=...,alias=...,ip=...
        - `network_mode`: in place of networks: bridge, host, none or container:<name>
        - `extra_hosts`: further names: name:address
        - `dns`: addresses of name servers
        - `dns_search`: domains that short names are looked for in
        - `dns_options`: options of the resolver, such as ndots:2
        - `memory`: the most memory it may use, such as 512m
        - `memory_swap`: the most memory and swap together, -1 for no limit; twice the memory unless told
          otherwise
        - `memory_reservation`: the memory it is held to when the host runs short
        - `cpus`: the most CPUs it may use, such as 1.5
        - `cpu_shares`: its weight against other containers, usually 1024
        - `cpuset`: the CPUs it may run on, such as 0-2,4
        - `pids`: the most processes it may have, -1 for no limit
        - `restart`: when Docker starts it again: no, always, unless-stopped or on-failure[:retries]
        - `privileged`: give it the whole host
        - `cap_add`: capabilities to add, such as NET_ADMIN
        - `cap_drop`: capabilities to take away, such as ALL
        - `devices`: devices of the host: path[:path inside][:rwm]
        - `security_opt`: security options, such as no-new-privileges
        - `group_add`: further groups of its user
        - `pid_mode`: host, or container:<name>: see those processes
        - `ipc_mode`: none, private, shareable, host, or container:<name>: share that memory
        - `uts_mode`: host: have the host's name
        - `userns_mode`: host: don't map its users
        - `cgroupns_mode`: private, or host: see the host's control groups
        - `cgroup_parent`: the control group that its own is in
        - `sysctls`: kernel parameters of its own
        - `ulimits`: limits of its processes: name=soft[:hard]
        - `runtime`: what runs it in place of runc
        - `health_command`: a shell command that succeeds while it is healthy
        - `health_interval_seconds`: between two checks
        - `health_timeout_seconds`: how long a check may take
        - `health_start_seconds`: how long it may take to get healthy
        - `health_retries`: how many failures make it unhealthy
        - `no_health_check`: don't check its health, even if the image says how
        - `log_driver`: where its output goes, such as json-file
        - `log_options`: the log driver's options, such as max-size=10m
        """
        return await self._perform(
            "container_create",
            on,
            {
                "image": image,
                "name": name,
                "command": command,
                "entrypoint": entrypoint,
                "env": env,
                "labels": labels,
                "hostname": hostname,
                "user": user,
                "working_dir": working_dir,
                "tty": tty,
                "stdin": stdin,
                "init": init,
                "auto_remove": auto_remove,
                "stop_signal": stop_signal,
                "stop_timeout_seconds": stop_timeout_seconds,
                "volumes": volumes,
                "mounts": mounts,
                "tmpfs": tmpfs,
                "volumes_from": volumes_from,
                "read_only": read_only,
                "shm_size": shm_size,
                "ports": ports,
                "expose": expose,
                "publish_all": publish_all,
                "networks": networks,
                "network_mode": network_mode,
                "extra_hosts": extra_hosts,
                "dns": dns,
                "dns_search": dns_search,
                "dns_options": dns_options,
                "memory": memory,
                "memory_swap": memory_swap,
                "memory_reservation": memory_reservation,
                "cpus": cpus,
                "cpu_shares": cpu_shares,
                "cpuset": cpuset,
                "pids": pids,
                "restart": restart,
                "privileged": privileged,
                "cap_add": cap_add,
                "cap_drop": cap_drop,
                "devices": devices,
                "security_opt": security_opt,
                "group_add": group_add,
                "pid_mode": pid_mode,
                "ipc_mode": ipc_mode,
                "uts_mode": uts_mode,
                "userns_mode": userns_mode,
                "cgroupns_mode": cgroupns_mode,
                "cgroup_parent": cgroup_parent,
                "sysctls": sysctls,
                "ulimits": ulimits,
                "runtime": runtime,
                "health_command": health_command,
                "health_interval_seconds": health_interval_seconds,
                "health_timeout_seconds": health_timeout_seconds,
                "health_start_seconds": health_start_seconds,
                "health_retries": health_retries,
                "no_health_check": no_health_check,
                "log_driver": log_driver,
                "log_options": log_options,
            },
            delivery,
        )

    async def run(
        self,
        image: str,
        command: Sequence[str] | None = None,
        *,
        on: On = None,
        name: str | None = None,
        entrypoint: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        hostname: str | None = None,
        user: str | None = None,
        working_dir: str | None = None,
        tty: bool = False,
        stdin: bool = False,
        init: bool = False,
        auto_remove: bool = False,
        stop_signal: str | None = None,
        stop_timeout_seconds: int | None = None,
        volumes: Sequence[str] | None = None,
        mounts: Sequence[str] | None = None,
        tmpfs: Sequence[str] | None = None,
        volumes_from: Sequence[str] | None = None,
        read_only: bool = False,
        shm_size: str | None = None,
        ports: Sequence[str] | None = None,
        expose: Sequence[str] | None = None,
        publish_all: bool = False,
        networks: Sequence[str] | None = None,
        network_mode: str | None = None,
        extra_hosts: Sequence[str] | None = None,
        dns: Sequence[str] | None = None,
        dns_search: Sequence[str] | None = None,
        dns_options: Sequence[str] | None = None,
        memory: str | None = None,
        memory_swap: str | None = None,
        memory_reservation: str | None = None,
        cpus: float | None = None,
        cpu_shares: int | None = None,
        cpuset: str | None = None,
        pids: int | None = None,
        restart: str | None = None,
        privileged: bool = False,
        cap_add: Sequence[str] | None = None,
        cap_drop: Sequence[str] | None = None,
        devices: Sequence[str] | None = None,
        security_opt: Sequence[str] | None = None,
        group_add: Sequence[str] | None = None,
        pid_mode: str | None = None,
        ipc_mode: str | None = None,
        uts_mode: str | None = None,
        userns_mode: str | None = None,
        cgroupns_mode: str | None = None,
        cgroup_parent: str | None = None,
        sysctls: Mapping[str, str] | None = None,
        ulimits: Sequence[str] | None = None,
        runtime: str | None = None,
        health_command: str | None = None,
        health_interval_seconds: float | None = None,
        health_timeout_seconds: float | None = None,
        health_start_seconds: float | None = None,
        health_retries: int | None = None,
        no_health_check: bool = False,
        log_driver: str | None = None,
        log_options: Mapping[str, str] | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Create a container and start it.

        - `image`: the image's reference, such as nginx:1.27
        - `command`: the command to run in place of the image's own
        - `name`: its name: at least two letters, digits, '_', '.' and '-', the first a letter or a digit;
          Docker makes one up unless told
        - `entrypoint`: the program to run in place of the image's own, and what goes before the command
        - `env`: environment variables; kept sealed
        - `labels`: labels
        - `hostname`: its name for itself
        - `user`: the user, or user:group, that its program runs as
        - `working_dir`: the directory its program starts in
        - `tty`: give it a terminal
        - `stdin`: keep its input open
        - `init`: run a small init as its first process, which reaps the others
        - `auto_remove`: remove it when it ends
        - `stop_signal`: the signal that asks it to end
        - `stop_timeout_seconds`: how long it may take to end before it is killed
        - `volumes`: volumes and host paths: source:target[:ro]
        - `mounts`: mounts: type=bind|volume|tmpfs,source=...,target=...[,readonly]
        - `tmpfs`: file systems in memory: path[:options]
        - `volumes_from`: containers whose mounts it gets too
        - `read_only`: its own files can't be changed
        - `shm_size`: the size of /dev/shm, such as 64m
        - `ports`: published ports: [[address:]host port:]port[/protocol]
        - `expose`: ports that are told, but not published: port[/protocol]
        - `publish_all`: publish all exposed ports at ports of Docker's choice
        - `networks`: networks: a name, or name=...,alias=...,ip=...
        - `network_mode`: in place of networks: bridge, host, none or container:<name>
        - `extra_hosts`: further names: name:address
        - `dns`: addresses of name servers
        - `dns_search`: domains that short names are looked for in
        - `dns_options`: options of the resolver, such as ndots:2
        - `memory`: the most memory it may use, such as 512m
        - `memory_swap`: the most memory and swap together, -1 for no limit; twice the memory unless told
          otherwise
        - `memory_reservation`: the memory it is held to when the host runs short
        - `cpus`: the most CPUs it may use, such as 1.5
        - `cpu_shares`: its weight against other containers, usually 1024
        - `cpuset`: the CPUs it may run on, such as 0-2,4
        - `pids`: the most processes it may have, -1 for no limit
        - `restart`: when Docker starts it again: no, always, unless-stopped or on-failure[:retries]
        - `privileged`: give it the whole host
        - `cap_add`: capabilities to add, such as NET_ADMIN
        - `cap_drop`: capabilities to take away, such as ALL
        - `devices`: devices of the host: path[:path inside][:rwm]
        - `security_opt`: security options, such as no-new-privileges
        - `group_add`: further groups of its user
        - `pid_mode`: host, or container:<name>: see those processes
        - `ipc_mode`: none, private, shareable, host, or container:<name>: share that memory
        - `uts_mode`: host: have the host's name
        - `userns_mode`: host: don't map its users
        - `cgroupns_mode`: private, or host: see the host's control groups
        - `cgroup_parent`: the control group that its own is in
        - `sysctls`: kernel parameters of its own
        - `ulimits`: limits of its processes: name=soft[:hard]
        - `runtime`: what runs it in place of runc
        - `health_command`: a shell command that succeeds while it is healthy
        - `health_interval_seconds`: between two checks
        - `health_timeout_seconds`: how long a check may take
        - `health_start_seconds`: how long it may take to get healthy
        - `health_retries`: how many failures make it unhealthy
        - `no_health_check`: don't check its health, even if the image says how
        - `log_driver`: where its output goes, such as json-file
        - `log_options`: the log driver's options, such as max-size=10m
        """
        return await self._perform(
            "container_run",
            on,
            {
                "image": image,
                "name": name,
                "command": command,
                "entrypoint": entrypoint,
                "env": env,
                "labels": labels,
                "hostname": hostname,
                "user": user,
                "working_dir": working_dir,
                "tty": tty,
                "stdin": stdin,
                "init": init,
                "auto_remove": auto_remove,
                "stop_signal": stop_signal,
                "stop_timeout_seconds": stop_timeout_seconds,
                "volumes": volumes,
                "mounts": mounts,
                "tmpfs": tmpfs,
                "volumes_from": volumes_from,
                "read_only": read_only,
                "shm_size": shm_size,
                "ports": ports,
                "expose": expose,
                "publish_all": publish_all,
                "networks": networks,
                "network_mode": network_mode,
                "extra_hosts": extra_hosts,
                "dns": dns,
                "dns_search": dns_search,
                "dns_options": dns_options,
                "memory": memory,
                "memory_swap": memory_swap,
                "memory_reservation": memory_reservation,
                "cpus": cpus,
                "cpu_shares": cpu_shares,
                "cpuset": cpuset,
                "pids": pids,
                "restart": restart,
                "privileged": privileged,
                "cap_add": cap_add,
                "cap_drop": cap_drop,
                "devices": devices,
                "security_opt": security_opt,
                "group_add": group_add,
                "pid_mode": pid_mode,
                "ipc_mode": ipc_mode,
                "uts_mode": uts_mode,
                "userns_mode": userns_mode,
                "cgroupns_mode": cgroupns_mode,
                "cgroup_parent": cgroup_parent,
                "sysctls": sysctls,
                "ulimits": ulimits,
                "runtime": runtime,
                "health_command": health_command,
                "health_interval_seconds": health_interval_seconds,
                "health_timeout_seconds": health_timeout_seconds,
                "health_start_seconds": health_start_seconds,
                "health_retries": health_retries,
                "no_health_check": no_health_check,
                "log_driver": log_driver,
                "log_options": log_options,
            },
            delivery,
        )

    async def update(
        self,
        container: str,
        *,
        image: str,
        on: On = None,
        pull: str = "always",
        health_timeout_seconds: float = 120.0,
        username: str | None = None,
        password: str | None = None,
        **delivery: Unpack[Delivery],
    ) -> Results:
        """Replace a container by one of a new image, with everything else as it is; undone if the new one isn't
        well.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `image`: the new image's reference, such as nginx:1.27, or its whole id (sha256:...)
        - `pull`: fetch the image from its registry: always, only if it is missing on the host, or never
        - `health_timeout_seconds`: how long the new container may take until it is healthy, before the old
          one is put back
        - `username`: who to be at the registry, if it wants to know
        - `password`: the password or token for the registry; it is kept sealed until the command is over, and
          never shown
        """
        return await self._perform(
            "container_update",
            on,
            {
                "container": container,
                "image": image,
                "pull": pull,
                "health_timeout_seconds": health_timeout_seconds,
                "username": username,
                "password": password,
            },
            delivery,
        )

    def stream_logs(
        self,
        container: str,
        *,
        on: str,
        tail: int = 100,
        timestamps: bool = False,
        follow: bool = False,
        whole: bool = False,
        since: float | None = None,
        until: float | None = None,
    ) -> Stream:
        """The end of a container's log, as a stream of the one host `on`: see `Stream`.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `tail`: how many lines
        - `timestamps`: put the time before each line
        - `follow`: go on with what is written from now on
        - `whole`: from the beginning, whatever `tail` says
        - `since`: only what was written after this time, in seconds since 1970
        - `until`: only what was written before this time, in seconds since 1970
        """
        return self._stream(
            "container_logs",
            on,
            {
                "container": container,
                "tail": tail,
                "timestamps": timestamps,
                "follow": follow,
                "whole": whole,
                "since": since,
                "until": until,
            },
        )

    def stream_stats(self, container: str, *, on: str) -> Stream:
        """What a container uses now, as a stream of the one host `on`: see `Stream`.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        """
        return self._stream("container_stats", on, {"container": container})

    def stream_exec(
        self,
        container: str,
        command: Sequence[str],
        *,
        on: str,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        working_dir: str | None = None,
        privileged: bool = False,
        interactive: bool = False,
        tty: bool = False,
    ) -> Stream:
        """Run a command in a running container to its end; its exit code and what it wrote, as a stream of the
        one host `on`: see `Stream`.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `command`: the program and its arguments
        - `env`: environment variables; kept sealed
        - `user`: the user, or user:group, that runs it
        - `working_dir`: the directory it starts in
        - `privileged`: give it the whole host
        - `interactive`: let it have the input of who calls
        - `tty`: give it a terminal
        """
        return self._stream(
            "container_exec",
            on,
            {
                "container": container,
                "command": command,
                "env": env,
                "user": user,
                "working_dir": working_dir,
                "privileged": privileged,
                "interactive": interactive,
                "tty": tty,
            },
        )

    def stream_copy_out(self, container: str, path: str, *, on: str) -> Stream:
        """A file or directory of a container, as a tar archive, as a stream of the one host `on`: see `Stream`.

        - `container`: the container's name or id: letters, digits, '_', '.' and '-', the first a letter or a
          digit
        - `path`: where it lies in the container, from its root on
        """
        return self._stream("container_copy_out", on, {"container": container, "path": path})
