"""What the machine itself takes for what a broker can't avoid: one copy in, one out. CPU seconds per GiB of the side that a broker is."""
import os
import resource
import socket
import tempfile
import threading

MIB, GIB = 1 << 20, 1 << 30


def thread_cpu_s():
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_utime + usage.ru_stime


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


def sendfile(piece, total=GIB):
    """From the page cache to a loopback socket that somebody empties."""
    near, far = pair()

    def drain():
        buffer = bytearray(MIB)
        while far.recv_into(buffer):
            pass

    with tempfile.TemporaryFile() as file:
        file.write(bytes(64 * MIB))
        file.flush()
        reader = threading.Thread(target=drain)
        reader.start()
        begin, sent = thread_cpu_s(), 0
        while sent < total:
            sent += os.sendfile(near.fileno(), file.fileno(), sent % (63 * MIB), piece)
        used = thread_cpu_s() - begin
        near.close()
        reader.join()
        far.close()
    return used * GIB / sent


def receive_and_write(piece, total=GIB):
    """From a loopback socket that somebody fills to the page cache."""
    near, far = pair()

    def fill():
        content, sent = bytes(MIB), 0
        while sent < total:
            near.sendall(content)
            sent += MIB
        near.close()

    with tempfile.TemporaryFile() as file:
        writer = threading.Thread(target=fill)
        buffer = memoryview(bytearray(piece))
        writer.start()
        begin, taken = thread_cpu_s(), 0
        while True:
            size = far.recv_into(buffer, piece, socket.MSG_WAITALL)
            if not size:
                break
            os.write(file.fileno(), buffer[:size])
            taken += size
        used = thread_cpu_s() - begin
        writer.join()
        far.close()
    return used * GIB / taken


def measure():
    return {"sendfile 128 KiB": sendfile(128 << 10), "sendfile 1 MiB": sendfile(MIB),
            "receive and write 16 KiB": receive_and_write(16 << 10), "receive and write 128 KiB": receive_and_write(128 << 10),
            "receive and write 1 MiB": receive_and_write(MIB)}
