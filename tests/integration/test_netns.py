"""Goal: a network that lies about what it cuts and delays would make every fault test worthless.
Method: datagrams between the hosts of netns.py, while links are cut, lossy and slow."""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../support"))
from netns import Network  # noqa: E402
from server import die_with_parent  # noqa: E402

PORT = 9000
WAIT_S = 0.6  # for a datagram that may not come
# Sends back each datagram whose sender asks for it ("?"), counts the others, tells the count ("=").
ECHO = f"""
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], {PORT}))
print('ready', flush=True)
count = 0
while True:
    data, sender = s.recvfrom(100)
    if data == b'?': s.sendto(b'!', sender)
    elif data == b'=': s.sendto(str(count).encode(), sender); count = 0
    else: count += 1
"""
ASK = f"""
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(float(sys.argv[2]))
target = (sys.argv[1], {PORT})
for n in range(int(sys.argv[4])): s.sendto(b'.', target); time.sleep(0.0002)
begin = time.monotonic()
try:
    s.sendto(sys.argv[3].encode(), target)
    print(s.recv(100).decode(), time.monotonic() - begin)
except OSError: print('nothing 0')
"""


class Switch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net = Network(3)
        cls.echoes = [subprocess.Popen([*host.within, sys.executable, "-c", ECHO, host.address],
                                       stdout=subprocess.PIPE, text=True,
                                       preexec_fn=die_with_parent) for host in cls.net.hosts]
        for echo in cls.echoes:
            assert echo.stdout.readline() == "ready\n"

    @classmethod
    def tearDownClass(cls):
        for echo in cls.echoes:
            echo.kill()
            echo.wait()
            echo.stdout.close()
        cls.net.close()

    def setUp(self):
        self.net.heal()

    def ask(self, a, b, what="?", before=0):
        """(answer, seconds) that host `a` has from host `b`; -1 is the test itself."""
        within = [] if a < 0 else self.net.hosts[a].within
        done = subprocess.run([*within, sys.executable, "-c", ASK, self.net.hosts[b].address,
                               str(WAIT_S), what, str(before)], text=True, check=True,
                              stdout=subprocess.PIPE)
        answer, seconds = done.stdout.split()
        return answer, float(seconds)

    def test_a_cut_is_one_way_and_only_between_two(self):
        self.assertEqual(self.ask(0, 1)[0], "!")
        self.net.cut(0, 1)
        self.assertEqual(self.ask(0, 1)[0], "nothing")
        self.assertEqual(self.ask(1, 0)[0], "nothing", "the answer goes the way that is cut")
        self.ask(1, 0, ".", 9)
        self.assertEqual(self.ask(2, 0, "=")[0], "10", "but what 1 sends arrives")
        self.assertEqual(self.ask(0, 2)[0], "!")
        self.assertEqual(self.ask(-1, 0)[0], "!")
        self.assertEqual(self.ask(-1, 1)[0], "!")
        self.net.heal()
        self.assertEqual(self.ask(0, 1)[0], "!")

    def test_a_split_leaves_each_side_whole(self):
        self.net.split({2})
        self.assertEqual(self.ask(0, 1)[0], "!")
        self.assertEqual(self.ask(0, 2)[0], "nothing")
        self.assertEqual(self.ask(2, 1)[0], "nothing")

    def test_a_share_is_lost_or_comes_twice(self):
        self.net.lose(0.3)
        self.ask(0, 1, ".", 1000)
        self.net.heal()
        arrived = int(self.ask(2, 1, "=")[0])
        self.assertTrue(600 < arrived < 800, arrived)
        self.net.repeat(0.5)
        self.ask(0, 1, ".", 1000)
        self.net.heal()
        arrived = int(self.ask(2, 1, "=")[0])
        self.assertTrue(1400 < arrived < 1600, arrived)

    def test_a_delay_is_kept_both_ways(self):
        self.ask(0, 1)  # each knows the other's address on the wire
        self.net.delay(50, 20)
        answer, seconds = self.ask(0, 1)
        self.assertEqual(answer, "!")
        self.assertGreaterEqual(seconds, 0.1)
        self.assertLess(self.ask(-1, 1)[1], 0.1)


if __name__ == "__main__":
    unittest.main()
