"""Seeded faults of the RTL. The regression must notice each of them."""

from tests.campaigns.fault_list.fault import Fault
from tests.campaigns.fault_list.host import HOST
from tests.campaigns.fault_list.macros.dendritic import DENDRITIC
from tests.campaigns.fault_list.macros.onn import ONN
from tests.campaigns.fault_list.macros.pim import PIM
from tests.campaigns.fault_list.macros.sources import SOURCES
from tests.campaigns.fault_list.mesh import MESH
from tests.campaigns.fault_list.neuron import NEURON
from tests.campaigns.fault_list.plastic import PLASTIC
from tests.campaigns.fault_list.states import STATES
from tests.campaigns.fault_list.tick import TICK

__all__ = ["FAULTS", "Fault"]

FAULTS = [*NEURON, *STATES, *TICK, *HOST, *MESH, *PIM, *PLASTIC, *ONN, *DENDRITIC, *SOURCES]
