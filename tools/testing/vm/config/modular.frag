# On top of lean.frag: iommufd and VFIO as modules, as in the kernels of other distributions, and the container of VFIO's own.
CONFIG_LOCALVERSION="-modular"
CONFIG_MODULE_SRCVERSION_ALL=y
CONFIG_IOMMUFD=m
# CONFIG_IOMMUFD_VFIO_CONTAINER is not set
CONFIG_VFIO=m
CONFIG_VFIO_CONTAINER=y
CONFIG_VFIO_PCI=m
CONFIG_SAMPLE_VFIO_MDEV_MTTY=m
CONFIG_SAMPLE_VFIO_MDEV_MDPY=m
