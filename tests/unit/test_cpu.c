/* cpu.c and cpu_count.c: levels, and quotas read from a made-up cgroup tree. */
#include "check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cpu.h"

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(beit__isa_name(BEIT__ISA_C), "c");
    assert_string_equal(beit__isa_name(BEIT__ISA_AVX2), "avx2");
    assert_string_equal(beit__isa_name(BEIT__ISA_AVX512), "avx512");
    const beit__isa_t isa = beit__cpu_isa();
    assert_true(isa == BEIT__ISA_C || isa == BEIT__ISA_AVX2 || isa == BEIT__ISA_AVX512);
}

static void there_is_a_cpu(void **state)
{
    (void)state;
    assert_true(beit__cpu_count() >= 1);
    assert_true(beit__cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
}

/* ---- cgroups: root/cpu.max, root/a/cpu.max, root/a/b/cpu.max ---- */

static char root[64], membership[128];

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_quota(const char *group, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s/cpu.max", root, group);
    if (text)
        write_text(path, text);
    else
        unlink(path);
}

static int make_tree(void **state)
{
    (void)state;
    char path[80];
    strcpy(root, "cgroup-XXXXXX");
    if (!mkdtemp(root))
        return -1;
    snprintf(path, sizeof path, "%s/a", root);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/a/b", root);
    mkdir(path, 0700);
    snprintf(membership, sizeof membership, "%s/membership", root);
    return 0;
}

static int remove_tree(void **state)
{
    (void)state;
    static const char *const parts[] = {"/a/b/cpu.max", "/a/b", "/a/cpu.max", "/a", "/cpu.max",
                                        "/membership",  ""};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[80];
        snprintf(path, sizeof path, "%s%s", root, parts[i]);
        remove(path);
    }
    return 0;
}

static const struct {
    const char *membership, *quotas[3]; /* of root, a, a/b */
    int32_t cpus;
} trees[] = {
    {"0::/a/b\n", {NULL, "max 100000\n", "max 100000\n"}, INT32_MAX},
    {"0::/a/b\n", {NULL, "max 100000\n", "200000 100000\n"}, 2},
    {"0::/a/b\n", {NULL, "max 100000\n", "150000 100000\n"}, 2}, /* one and a half */
    {"0::/a/b\n", {NULL, "max 100000\n", "1000 100000\n"}, 1},
    {"0::/a/b\n", {NULL, "300000 100000\n", "max 100000\n"}, 3}, /* the parent's limit counts */
    {"0::/a/b\n", {"100000 100000\n", "300000 100000\n", "400000 100000\n"}, 1},
    {"0::/a\n", {NULL, "300000 100000\n", "100000 100000\n"}, 3}, /* a child's does not */
    {"0::/\n", {"250000 100000\n", NULL, NULL}, 3},
    {"5:cpu:/x\n1:name=systemd:/y\n0::/a\n", {NULL, "300000 100000\n", NULL}, 3},
    {"5:cpu:/a\n", {"100000 100000\n", "100000 100000\n", NULL}, INT32_MAX}, /* version 1 only */
    {"0::/gone\n", {"200000 100000\n", NULL, NULL}, 2},
    {"0::/a/b\n", {NULL, NULL, NULL}, INT32_MAX},
    {"0::/a\n", {NULL, "", NULL}, INT32_MAX},
    {"0::/a\n", {NULL, "100000\n", NULL}, INT32_MAX},
    {"0::/a\n", {NULL, "-1 100000\n", NULL}, INT32_MAX},
    {"0::/a\n", {NULL, "9223372036854775807 1\n", NULL}, INT32_MAX},
    {"", {"100000 100000\n", NULL, NULL}, INT32_MAX},
};

static void quotas_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        write_text(membership, trees[i].membership);
        write_quota("", trees[i].quotas[0]);
        write_quota("/a", trees[i].quotas[1]);
        write_quota("/a/b", trees[i].quotas[2]);
        assert_int_equal(beit__cgroup_cpus(membership, root), trees[i].cpus);
    }
    assert_int_equal(beit__cgroup_cpus("no-such-file", root), INT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(there_is_a_cpu),
        cmocka_unit_test_setup_teardown(quotas_limit, make_tree, remove_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
