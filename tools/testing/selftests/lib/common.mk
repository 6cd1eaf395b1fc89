# SPDX-License-Identifier: GPL-2.0-only
#
# What the selftests of /dev/iommu and of VFIO are built with: this library, which is compiled for each directory. It is
# included when TEST_GEN_PROGS and the like are set, with
#
#	KSFT_DIR	tools/testing/selftests of a kernel source: lib.mk and kselftest_harness.h; the directory above in a
#			kernel tree
#	KHDR_INCLUDES	flags to find the kernel's installed user headers, which have to be those of 6.12 or later
#			(linux/vfio.h)

KSFT_DIR ?= ..

# Ours, and not the installed iommufd.h, which may be older.
UAPI_DIR := $(abspath ../../../../include/uapi)

CFLAGS += -Wall -Wextra -O2 -isystem $(KSFT_DIR)
ifeq ($(wildcard $(UAPI_DIR)/linux/types.h),)
CFLAGS += -I$(UAPI_DIR)
endif
CFLAGS += $(KHDR_INCLUDES)

LIB_SRCS := $(wildcard ../lib/*.c) ../../../lib/sysdev.c ../../../lib/fdpass.c
LIB_HDRS := $(wildcard *.h ../lib/*.h ../../../lib/*.h)
LIB_OBJS = $(addprefix $(OUTPUT)/lib_,$(notdir $(LIB_SRCS:.c=.o)))
LIB = $(OUTPUT)/libtest.a

LDLIBS += $(LIB) -lpthread
# What the programs depend on and the compiler is not given as a source
LOCAL_HDRS += $(LIB_HDRS) $(LIB)
EXTRA_CLEAN += $(LIB) $(LIB_OBJS)

include $(KSFT_DIR)/lib.mk

$(OUTPUT)/lib_%.o: ../lib/%.c $(LIB_HDRS)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(OUTPUT)/lib_%.o: ../../../lib/%.c $(LIB_HDRS)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(LIB): $(LIB_OBJS)
	$(call msg,AR,,$@)
	$(Q)$(AR) rcs $@ $^
