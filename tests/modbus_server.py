"""A foreign Modbus server: pymodbus, with registers, silence and counters that a test controls.

    modbus_server.py tcp PORT UNIT...
    modbus_server.py rtu-tcp PORT UNIT...
    modbus_server.py rtu PATH UNIT...

Every line on stdin is a JSON order, answered by one JSON line on stdout:

    {"do": "set", "unit": 1, "table": "holding", "at": 0, "words": [1, 2]}
    {"do": "silence", "unit": 1, "on": true}
    {"do": "count", "unit": 1}     the words at 0 and 1 become a number that grows with every answer
    {"do": "requests", "unit": 1}  how many requests came to the unit, answered or not
    {"do": "served", "unit": 1}    each number that was answered, with the time in ms since 1970
    {"do": "open", "unit": 1}      the unit takes writes
    {"do": "written", "unit": 1}   every write that came, taken or not: function, address, words or coils
"""

import asyncio
import json
import logging
import sys
import time
from functools import partial

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

REGISTERS = 1000
TABLES = {3: "holding", 4: "input"}


class Unit:
    """One device on the bus."""

    def __init__(self):
        self.tables = {name: [0] * REGISTERS for name in TABLES.values()}
        self.silent = False
        self.counting = False
        self.requests = 0
        self.served = []
        self.open = False
        self.written = []

    async def read(self, function, _start, address, count, registers, written):
        """Puts our words into pymodbus' registers before it answers; called for every request."""
        self.requests += 1
        if self.silent:
            raise NoSuchIdException("silent")
        if written is not None:
            self.written.append([function, address, [int(value) for value in written]])
            if not self.open:
                return ExcCodes.ILLEGAL_FUNCTION
            if function in (6, 16):
                self.tables["holding"][address : address + len(written)] = written
            return None
        if function in (1, 5, 6, 15, 16):
            return None  # pymodbus keeps the coils, and looks at what it has written
        if function not in TABLES:
            return ExcCodes.ILLEGAL_FUNCTION
        words = self.tables[TABLES[function]]
        if self.counting and function == 3 and address == 0 and count >= 2:
            number = len(self.served) + 1
            words[0:2] = [number >> 16, number & 0xFFFF]
            self.served.append([number, time.time_ns() // 1_000_000])
        registers[0:REGISTERS] = words
        return None

    def obey(self, order):
        """Carries out an order; the answer."""
        match order["do"]:
            case "set":
                table, at, words = self.tables[order["table"]], order["at"], order["words"]
                table[at : at + len(words)] = words
            case "silence":
                self.silent = order["on"]
            case "count":
                self.counting = True
            case "requests":
                return self.requests
            case "served":
                return self.served
            case "open":
                self.open = True
            case "written":
                return self.written
        return "done"


def device(number, unit):
    """The unit as pymodbus wants it."""
    registers = SimData(0, count=REGISTERS, values=0, datatype=DataType.REGISTERS)
    bits = SimData(0, count=16, values=False, datatype=DataType.BITS)
    return SimDevice(number, simdata=([bits], [bits], [registers], [registers]), action=unit.read, use_bit_addressing=True)


async def main(kind, place, numbers):
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    units = {number: Unit() for number in numbers}
    devices = [device(number, unit) for number, unit in units.items()]
    # Whom the bus does not have, and who is silent, is not answered for.
    if kind == "rtu":
        make = partial(ModbusSerialServer, port=place, baudrate=9600)
    else:
        framer = FramerType.RTU if kind == "rtu-tcp" else FramerType.SOCKET
        make = partial(ModbusTcpServer, framer=framer, address=("127.0.0.1", int(place)))
    await make(devices, ignore_missing_devices=True).serve_forever(background=True)
    print(json.dumps("ready"), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        print(json.dumps(units[order["unit"]].obey(order)), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], [int(number) for number in sys.argv[3:]]))
